"""A recipe becomes a root filesystem image with its kernels, kept between runs.

One Debian 13 userland; kernels of other suites are unpacked into the same root and booted with it, because
Python on Debian 11 is older than what oomguardd supports. See mmdebstrap(1), mke2fs(8) -d, initramfs.conf(5).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie"
KERNEL_SUITES = ("bullseye", "bookworm", "trixie", "sid")  # 5.10, 6.1, 6.12, 7.x

SYSTEM = ("systemd", "systemd-sysv", "dbus", "udev", "kmod", "util-linux", "procps", "python3")
TO_BUILD = ("initramfs-tools", "zstd", "debian-archive-keyring")
PEERS = ("earlyoom", "nohang", "systemd-oomd")
LIBRARIES = ("python3-prometheus-client", "python3-jeepney", "python3-pyroute2")
PACKAGES = (*SYSTEM, *LIBRARIES, *TO_BUILD, *PEERS)
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "gcc": "gcc",
    "/usr/lib/x86_64-linux-gnu/libc.a": "libc6-dev",
    KEYRING: "debian-archive-keyring",
}
"""What must be on this machine -> the Debian package that brings it."""
UNPRIVILEGED_TOOLS = {"fakeroot": "fakeroot", "newuidmap": "uidmap"}

# Only what mounts the root: a small initrd boots seconds faster under emulation.
CUSTOMIZE = r"""
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
printf 'MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\n' > /etc/initramfs-tools/conf.d/vm
printf 'virtio_pci\nvirtio_blk\next4\n' >> /etc/initramfs-tools/modules
rm /etc/apt/sources.list
for suite in @KERNELS@; do
    echo "deb [signed-by=@KEYRING@] @MIRROR@ $suite main" > /etc/apt/sources.list.d/$suite.list
done
apt-get -q update
cd /tmp
for suite in @KERNELS@; do
    package=$(apt-cache show linux-image-cloud-amd64/$suite | grep -o -m1 'linux-image-[0-9][^ ,]*')
    version=${package#linux-image-}
    # Newer suites split a kernel into several packages (image, binary, modules).
    parts=$(apt-cache show "$package/$suite" | grep '^Depends' | grep -o 'linux-[a-z]*-[0-9][^ ,]*' || true)
    for part in $package $parts; do
        apt-get -q download "$part/$suite"
    done
    # The root is merged-/usr and older packages are not: keep the link /lib.
    for deb in *.deb; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x -C / --keep-directory-symlink
    done
    rm -f *.deb
    depmod "$version"
    update-initramfs -c -k "$version"
    mkdir -p /boot/$suite
    mv /boot/vmlinuz-$version /boot/$suite/vmlinuz ||
        mv /usr/lib/modules/$version/vmlinuz /boot/$suite/vmlinuz
    mv /boot/initrd.img-$version /boot/$suite/initrd
done
rm -f /boot/config-* /boot/System.map-*
rm -rf /etc/apt/sources.list.d/* /var/lib/apt/lists/* /var/cache/apt/* /usr/share/doc /usr/share/locale

echo vm > /etc/hostname
sed -i 's/^root:[^:]*:/root::/' /etc/shadow
echo '/dev/vda / ext4 defaults,noatime 0 0' > /etc/fstab
# The peers are installed and off; a scenario starts the one that it is about.
systemctl disable earlyoom.service nohang.service nohang-desktop.service systemd-oomd.service \
    systemd-oomd.socket 2>/dev/null || true
# Nothing on a schedule may disturb a measurement; the serial lines are ours.
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    fstrim.timer man-db.timer systemd-tmpfiles-clean.timer serial-getty@ttyS0.service \
    serial-getty@ttyS1.service getty@tty1.service getty-static.service systemd-networkd.service
cat > /etc/systemd/system/vmjob.service <<'UNIT'
[Unit]
Description=The job that came on the second drive
After=multi-user.target

[Service]
Type=exec
ExecStart=/bin/sh -c 'mkdir -p /job && tar -xf /dev/vdb -C /job && cd /job && exec python3 -m guest.runner'
OOMScoreAdjust=-1000
StandardOutput=journal+console
StandardError=journal+console

[Install]
WantedBy=graphical.target
UNIT
# The applications of a scenario live below one delegated unit, as those of a desktop do below user@.service.
cat > /etc/systemd/system/session.service <<'UNIT'
[Service]
ExecStart=/bin/sleep infinity
Delegate=yes
DelegateSubgroup=init
OOMPolicy=continue
OOMScoreAdjust=-1000
TasksMax=infinity

[Install]
WantedBy=multi-user.target
UNIT
systemctl set-default graphical.target
systemctl enable vmjob.service session.service
"""


_IN_USE: list[int] = []
"""Shared locks on the images that this process boots from."""


class MissingTools(Exception):
    """Something that the suite needs is not installed, and could not be."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is in the image; its text is the key in the cache."""

    name: str
    kernels: tuple[str, ...]

    @property
    def key(self) -> str:
        text = "\n".join((SUITE, *PACKAGES, *self.kernels, CUSTOMIZE, MKE2FS))
        return f"{self.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


# 5.10 knows neither orphan_file nor metadata_csum_seed; every boot starts from a clean image, so no journal.
MKE2FS = "-q -t ext4 -O ^metadata_csum_seed,^orphan_file,^has_journal -E lazy_itable_init=1"
SCENARIOS = Recipe("scenarios", (SUITE,))
KERNELS = Recipe("kernels", KERNEL_SUITES)


@dataclass(frozen=True, slots=True)
class Image:
    """A built recipe: `root.ext4`, and a directory with `vmlinuz` and `initrd` for each kernel."""

    path: Path

    @property
    def root(self) -> Path:
        return self.path / "root.ext4"

    def kernel(self, suite: str) -> Path:
        return self.path / suite


def cache_dir() -> Path:
    """Where images stay between runs: never in the checkout."""
    default = Path.home() / ".cache" / "oomguard-vm"
    return Path(os.environ.get("OOMGUARD_VM_CACHE") or default)


def ensure_tools() -> None:
    """Installs what is missing when run as root; otherwise says what to install."""
    wanted = TOOLS if os.geteuid() == 0 else TOOLS | UNPRIVILEGED_TOOLS
    missing = sorted({package for tool, package in wanted.items() if not _have(tool)})
    if not missing:
        return
    if os.geteuid() != 0:
        raise MissingTools(f"the VM suite needs more packages: sudo apt-get install {' '.join(missing)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-q", "update"], check=True, env=environment)
    install = ["apt-get", "-q", "-y", "install", "--no-install-recommends", *missing]
    subprocess.run(install, check=True, env=environment)


def build(recipe: Recipe) -> Image:
    """The image of the recipe, from the cache where it is there (building takes a few minutes)."""
    cache = cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / recipe.key
    with _lock(cache / f"{recipe.name}.lock"):
        if not target.exists():
            ensure_tools()
            print(f"vm: building image {recipe.key} in {cache}", flush=True)
            with tempfile.TemporaryDirectory(prefix="build-", dir=cache) as work:
                _build_in(Path(work), recipe)
                (Path(work) / "image").rename(target)
        _IN_USE.append(_flock(target, fcntl.LOCK_SH))
        for old in cache.glob(f"{recipe.name}-*"):
            if old != target:
                _prune(old)
    return Image(target)


def mirror() -> str:
    """The Debian mirror that this machine's own apt uses."""
    if override := os.environ.get("OOMGUARD_VM_MIRROR"):
        return override
    command = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    for site, _, release in (line.partition(" ") for line in lines):
        if site.rstrip("/").endswith("/debian") and "-" not in release:
            return site.rstrip("/")
    raise MissingTools("no Debian mirror in this machine's apt sources: set OOMGUARD_VM_MIRROR")


def _apt_validity() -> list[str]:
    command = ["apt-config", "dump", "Acquire::Check-Valid-Until", "Acquire::Check-Date"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def _have(tool: str) -> bool:
    return os.path.exists(tool) or bool(shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"))


def _build_in(work: Path, recipe: Recipe) -> None:
    source = mirror()
    script = CUSTOMIZE.replace("@KERNELS@", " ".join(recipe.kernels))
    script = script.replace("@MIRROR@", source).replace("@KEYRING@", KEYRING)
    (work / "customize").write_text(script)
    image = work / "image"
    image.mkdir()
    tarball = work / "root.tar"
    command = [
        "mmdebstrap",
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        # A mirror may be a frozen copy: as much checking as this machine does itself.
        *(f"--aptopt={line}" for line in _apt_validity()),
        f"--customize-hook=upload {work}/customize /tmp/customize",
        '--customize-hook=chroot "$1" sh /tmp/customize',
        '--customize-hook=rm "$1/tmp/customize"',
        SUITE,
        str(tarball),
        f"deb [signed-by={KEYRING}] {source} {SUITE} main",
    ]
    _run(command, work / "mmdebstrap.log")
    pack = (
        f"set -e; mkdir {work}/root; tar -xf {tarball} -C {work}/root; rm {tarball};"
        f"mv {work}/root/boot/* {image}/;"
        f"PATH=$PATH:/usr/sbin; mke2fs {MKE2FS} -d {work}/root {image}/root.ext4 2500M;"
        f"rm -rf {work}/root"
    )
    fake = [] if os.geteuid() == 0 else ["fakeroot"]
    _run([*fake, "sh", "-c", pack], work / "pack.log")


def _run(command: list[str], log: Path) -> None:
    with log.open("wb") as stream:
        status = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, check=False).returncode
    if status:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise RuntimeError(f"{command[0]} failed with status {status}:\n{tail}")


def _prune(old: Path) -> None:
    """Removes an image, unless another run still boots from it."""
    try:
        fd = _flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    shutil.rmtree(old)
    os.close(fd)


def _flock(path: Path, how: int) -> int:
    """A descriptor that holds the lock until it is closed, at the latest when this process ends."""
    fd = os.open(path, os.O_RDONLY | os.O_CREAT if path.suffix == ".lock" else os.O_RDONLY)
    try:
        fcntl.flock(fd, how)
    except BaseException:
        os.close(fd)
        raise
    return fd


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    fd = _flock(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(fd)
