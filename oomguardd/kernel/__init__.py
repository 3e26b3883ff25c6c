"""The only room that opens /proc and /sys or makes a system call: one file per kernel file or call.

Kernel units (kB, pages, ticks, µs) end here. `parse_` turns bytes into a value, `read_` opens a file.
Every root is an argument, so that a small tree of real files is as good as a kernel. Nothing here logs.
"""
