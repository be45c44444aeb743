"""What `make bench` measures: the appliance through HTTP, next to what its cryptography costs alone. Not shipped."""
