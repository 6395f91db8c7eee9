"""What is seen of one library, one file each. A file is found by being here; its name is the import name of its target."""
