"""The live grid of an experiment, the record that replaces it, and the rating of answers in blind pairs."""
