# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    """The options of every module that speaks to Cloudflare."""

    DOCUMENTATION = r"""
options:
  zone:
    description: Name of the DNS zone, such as V(example.com).
    type: str
    required: true
  api_token:
    description:
      - Cloudflare API token with the permissions C(Zone Read) and C(DNS Edit) on the zone.
      - A global key is not accepted.
      - If not set, the environment variable E(CLOUDFLARE_API_TOKEN) is used.
    type: str
  api_endpoint:
    description: Address of the API.
    type: str
    default: https://api.cloudflare.com/client/v4
  timeout:
    description: Seconds to wait for one answer of the API.
    type: int
    default: 30
  patience:
    description:
      - Most seconds that one run of the module goes on trying, all in all, while the API asks to slow down, has a fault
        or does not answer.
      - If the API asks to wait longer, the module fails at once with the code C(DNS_RATE_LIMITED) and says how long.
    type: int
    default: 60
"""
