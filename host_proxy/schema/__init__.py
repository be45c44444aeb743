"""Steps of the store's schema, applied in the order of their numbers. A released step never changes."""
