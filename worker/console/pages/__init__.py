"""The pages, each in a module with a function `routes`."""
