"""The agents of this repository, one file each."""
