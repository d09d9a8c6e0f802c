"""The paths whose responses the client caches."""

from __future__ import annotations

PROFILES = "/api/get_profiles"
AGENT_PLAYBOOKS = "/api/get_agent_playbooks"
EVERYTHING = (PROFILES, AGENT_PLAYBOOKS)
