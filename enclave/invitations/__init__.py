"""Sign-up by invitation: a link for one mail address, a wallet for its owner, and an event for who sent the link."""
