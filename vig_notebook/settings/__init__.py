"""Settings: argument > environment > named profile in a TOML file > default.

=========================  ===========================================================================
``VIGTHORIA_API_KEY``      the key; it goes to ``VIGTHORIA_BASE_URL`` (or the default) only
``VIGTHORIA_BASE_URL``     base URL of an OpenAI-compatible server
``VIG_PROFILE``            name of a profile in the profile file
``VIG_LOG``                path of the run log, or ``off``
``VIG_REPLAY``             answers are taken from the run log: ``off``, ``on`` or ``only``, and a cassette's path
``VIG_LOCAL_MODEL``        path or name of the local model, or ``off``
``VIG_DEMO_PACE``          tokens per second of the demo server; 0 is as fast as it goes
=========================  ===========================================================================

The environment is read each time that something is asked, and only through `read_environment`.
"""

from __future__ import annotations

from vig_notebook.settings.addresses import is_loopback, normal_base_url, origin
from vig_notebook.settings.endpoint import DEFAULT_BASE_URL, DEFAULT_MODEL, Endpoint, resolve
from vig_notebook.settings.environment import read_environment
from vig_notebook.settings.keys import key_begins, masked
from vig_notebook.settings.limits import Limits
from vig_notebook.settings.profiles import Profile, Profiles, profile_file, read_profiles
from vig_notebook.settings.secret import Secret, concealed, mask

__all__ = [
    "DEFAULT_BASE_URL",
    "DEFAULT_MODEL",
    "Endpoint",
    "Limits",
    "Profile",
    "Profiles",
    "Secret",
    "concealed",
    "is_loopback",
    "key_begins",
    "mask",
    "masked",
    "normal_base_url",
    "origin",
    "profile_file",
    "read_environment",
    "read_profiles",
    "resolve",
]
