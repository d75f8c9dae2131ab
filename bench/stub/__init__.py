"""A process that stands for Adobe as cheaply as possible, and measures when events reach it."""
