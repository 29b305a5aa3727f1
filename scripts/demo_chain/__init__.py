"""How the demo chain's exports are made: real purchases, written as the systems of a chain would, with planted documents."""
