"""The pages of the console, each in a module with a function `routes`."""
