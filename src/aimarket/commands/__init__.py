"""What `aimarket COMMAND` does: one file a command, with one function `main(arguments)`."""
