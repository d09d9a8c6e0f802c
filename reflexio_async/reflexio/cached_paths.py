"""The paths whose responses the client caches."""

from __future__ import annotations

PROFILES_PATH = "/api/get_profiles"
AGENT_PLAYBOOKS_PATH = "/api/get_agent_playbooks"
EVERYTHING = (PROFILES_PATH, AGENT_PLAYBOOKS_PATH)
