"""The work of the Reflexio service, done without a language model: learning, generation, grading, search."""
