"""What trains networks or plain models beside a search, to learn something from them."""
