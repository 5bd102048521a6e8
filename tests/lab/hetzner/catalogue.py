"""What the cloud sells: locations, server types and system images, under Hetzner's current names.

Sizes as Hetzner publishes them for these types; prices are made up, since nothing is billed here.
There is one type and one image that Hetzner no longer offers, for clients that must notice.
"""

from __future__ import annotations

from typing import Any

_PLACES = [
    (1, "fsn1", "Falkenstein DC Park 1", "DE", "Falkenstein", 50.47612, 12.370071, "eu-central"),
    (2, "nbg1", "Nuremberg DC Park 1", "DE", "Nuremberg", 49.452102, 11.076665, "eu-central"),
    (3, "hel1", "Helsinki DC Park 1", "FI", "Helsinki", 60.169855, 24.938379, "eu-central"),
    (4, "ash", "Ashburn, VA", "US", "Ashburn, VA", 39.045821, -77.487073, "us-east"),
    (5, "hil", "Hillsboro, OR", "US", "Hillsboro, OR", 45.54222, -122.951924, "us-west"),
    (6, "sin", "Singapore", "SG", "Singapore", 1.283333, 103.833333, "ap-southeast"),
]
LOCATIONS: list[dict[str, Any]] = [
    {
        "id": number,
        "name": name,
        "description": description,
        "country": country,
        "city": city,
        "latitude": latitude,
        "longitude": longitude,
        "network_zone": zone,
    }
    for number, name, description, country, city, latitude, longitude, zone in _PLACES
]

_EUROPE = ("fsn1", "nbg1", "hel1")
_EVERYWHERE = tuple(place["name"] for place in LOCATIONS)
_GONE = {"announced": "2025-10-16T06:00:00Z", "unavailable_after": "2025-12-31T23:59:59Z"}
_RETIRED_TYPES = ("cx22",)
# id, name, cores, memory GB, disk GB, CPU kind, architecture, sold at, price an hour
_TYPES = [
    (104, "cx22", 2, 4, 40, "shared", "x86", _EUROPE, "0.0070"),
    (114, "cx23", 2, 4, 40, "shared", "x86", _EUROPE, "0.0060"),
    (115, "cx33", 4, 8, 80, "shared", "x86", _EUROPE, "0.0100"),
    (116, "cx43", 8, 16, 160, "shared", "x86", _EUROPE, "0.0180"),
    (117, "cx53", 16, 32, 320, "shared", "x86", _EUROPE, "0.0320"),
    (45, "cax11", 2, 4, 40, "shared", "arm", _EUROPE, "0.0070"),
    (109, "cpx22", 2, 4, 80, "shared", "x86", _EVERYWHERE, "0.0120"),
    (110, "cpx32", 4, 8, 160, "shared", "x86", _EVERYWHERE, "0.0200"),
    (96, "ccx13", 2, 8, 80, "dedicated", "x86", _EVERYWHERE, "0.0240"),
]


def _price(location: str, hourly: str) -> dict[str, Any]:
    monthly = f"{float(hourly) * 624:.4f}"
    return {
        "location": location,
        "price_hourly": {"net": hourly, "gross": hourly},
        "price_monthly": {"net": monthly, "gross": monthly},
        "included_traffic": 20 * 1024**4,
        "price_per_tb_traffic": {"net": "1.0000", "gross": "1.0000"},
    }


SERVER_TYPES: list[dict[str, Any]] = [
    {
        "id": number,
        "name": name,
        "description": name.upper(),
        "category": "Regular purpose" if kind == "shared" else "General purpose",
        "cores": cores,
        "memory": memory,
        "disk": disk,
        "cpu_type": kind,
        "architecture": architecture,
        "storage_type": "local",
        "deprecated": name in _RETIRED_TYPES,
        "deprecation": _GONE if name in _RETIRED_TYPES else None,
        "locations": [
            {
                "id": place["id"],
                "name": place["name"],
                "deprecation": _GONE if name in _RETIRED_TYPES else None,
                "available": name not in _RETIRED_TYPES,
                "recommended": name not in _RETIRED_TYPES,
            }
            for place in LOCATIONS
            if place["name"] in sold_at
        ],
        "prices": [_price(location, hourly) for location in sold_at],
    }
    for number, name, cores, memory, disk, kind, architecture, sold_at, hourly in _TYPES
]

_RETIRED_IMAGES = {"ubuntu-20.04": "2025-05-31T00:00:00Z"}
_SYSTEMS = [
    (15512617, "ubuntu-20.04", "ubuntu", "20.04", "x86"),
    (67794396, "ubuntu-22.04", "ubuntu", "22.04", "x86"),
    (103908130, "ubuntu-22.04", "ubuntu", "22.04", "arm"),
    (114690387, "debian-12", "debian", "12", "x86"),
    (114690389, "debian-12", "debian", "12", "arm"),
    (161547269, "ubuntu-24.04", "ubuntu", "24.04", "x86"),
    (161547270, "ubuntu-24.04", "ubuntu", "24.04", "arm"),
    (310557660, "debian-13", "debian", "13", "x86"),
    (310557661, "debian-13", "debian", "13", "arm"),
]
IMAGES: list[dict[str, Any]] = [
    {
        "id": number,
        "type": "system",
        "status": "available",
        "name": name,
        "description": f"{flavor.title()} {version}",
        "image_size": None,
        "disk_size": 5,
        "created": "2025-08-20T08:00:00Z",
        "created_from": None,
        "bound_to": None,
        "os_flavor": flavor,
        "os_version": version,
        "rapid_deploy": True,
        "protection": {"delete": False},
        "deprecated": _RETIRED_IMAGES.get(name),
        "deleted": None,
        "labels": {},
        "architecture": architecture,
    }
    for number, name, flavor, version, architecture in _SYSTEMS
]


_FREE = {"net": "1.0000", "gross": "1.0000"}


def _ip_prices(*periods: str) -> list[dict[str, Any]]:
    prices = [{"location": place["name"], **dict.fromkeys(periods, _FREE)} for place in LOCATIONS]
    return [{"type": kind, "prices": prices} for kind in ("ipv4", "ipv6")]


PRICING: dict[str, Any] = {
    "currency": "EUR",
    "vat_rate": "0.0000",
    "image": {"price_per_gb_month": _FREE},
    "volume": {"price_per_gb_month": _FREE},
    "server_backup": {"percentage": "20.0000"},
    "floating_ip": {"price_monthly": _FREE},
    "floating_ips": _ip_prices("price_monthly"),
    "primary_ips": _ip_prices("price_hourly", "price_monthly"),
    "load_balancer_types": [],
    "server_types": [{"id": one["id"], "name": one["name"], "prices": one["prices"]} for one in SERVER_TYPES],
}


def find(entries: list[dict[str, Any]], wanted: int | str) -> dict[str, Any] | None:
    """By id or name."""
    return next((one for one in entries if wanted == one["name"] or str(wanted) == str(one["id"])), None)
