"""A local Reflect server: traces in, memories out, without a language model."""

from __future__ import annotations
