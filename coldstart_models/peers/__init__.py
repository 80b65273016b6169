"""What a learned model must beat: chance, popularity, content neighbours, and the oracle."""
