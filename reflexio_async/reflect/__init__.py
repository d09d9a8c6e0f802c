"""The Reflect client: traces of an agent's runs become memories that its next runs are given."""
