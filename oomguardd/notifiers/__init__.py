"""Ways to tell people and programs. A new one is one file here and one name in NOTIFIERS."""

from __future__ import annotations

from oomguardd.notifiers import bus, hook, post, wall
from oomguardd.notifiers.base import Maker

NOTIFIERS: tuple[Maker, ...] = (bus.make, wall.make, hook.make, post.make)
