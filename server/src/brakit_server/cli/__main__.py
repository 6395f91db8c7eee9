"""`python -m brakit_server.cli`: the `brakit` command, for an interpreter whose scripts are not on the path."""

from brakit_server.cli import main

main()
