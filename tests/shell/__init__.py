"""The guard on a fake root with scripted ticks; with real children where one must really be signalled."""
