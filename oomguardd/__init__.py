"""oomguardd: ends the right process before the machine freezes."""

__version__ = "0.1.0"
