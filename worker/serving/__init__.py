"""What the HTTP servers of door and console share: connections within bounds, and our own words."""
