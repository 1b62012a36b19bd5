"""The story in chapters; each checks what it tells and raises `NotSeen` where the house did otherwise."""
