"""The methods that clients call. Each module is one service; `envelope` is what they share."""
