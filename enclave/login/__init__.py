"""Ways to log in: commitments, one-time codes by mail, OpenID Connect ID tokens."""
