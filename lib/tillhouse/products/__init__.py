"""What a product is, shared by all who ask: the chain's rules, the cross-reference, what is in a set."""
