"""The machine. `mailctl` checks this marker, because another distribution installs a package of the same name."""

__mailctl__ = True
