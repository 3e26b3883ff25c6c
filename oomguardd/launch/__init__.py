"""The command `oomguardd`: reads arguments and configuration, then looks once or becomes the guard."""
