"""The VM suite: oomguardd, and its peers in its place, on a real machine that runs out of memory.

`image.py` builds the machine, `qemu.py` boots it, `batch.py` sends scenarios through it, `guest/` is what
runs inside. `pytest tests/vm` holds oomguardd to its promises, `python3 -m tests.vm.bench` shows all daemons
side by side, `python3 -m pytest tests/vm/test_kernels.py` is the short form on every kernel that Debian has.

Environment: OOMGUARD_VM_CACHE (images; default ~/.cache/oomguard-vm), OOMGUARD_VM_ACCEL (QEMU's -accel;
default tcg,thread=multi), OOMGUARD_VM_MIRROR (a Debian mirror; default that of this machine's apt).
"""
