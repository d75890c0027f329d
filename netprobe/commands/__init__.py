"""The subcommands: one file each, options in, records out."""
