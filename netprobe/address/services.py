"""Addresses at which clouds offer one and the same service to every machine: what operators mean by them.

No registry has them: they are special by use, each by its provider's documentation. Whoever reaches a metadata service
may get credentials of the machine that asks, which is why a filter has to know these addresses (OWASP, Server-Side
Request Forgery).
"""

from __future__ import annotations

__all__ = ["service_at"]

_METADATA = "cloud metadata service"
_SERVICES = {
    (4, 0xA9FEA9FE): _METADATA,  # 169.254.169.254: Amazon EC2, Azure, Google Cloud, OpenStack, Oracle and others
    (4, 0xA9FEAA02): "cloud metadata service of containers (Amazon ECS)",  # 169.254.170.2
    (4, 0x646464C8): "cloud metadata service (Alibaba Cloud)",  # 100.100.100.200
    (4, 0xA83F8110): "cloud metadata service (Azure's platform address)",  # 168.63.129.16
    (6, 0xFD00_0EC2 << 96 | 0x254): "cloud metadata service (Amazon EC2)",  # fd00:ec2::254
    (6, 0xFD20_00CE << 96 | 0x254): "cloud metadata service (Google Cloud)",  # fd20:ce::254
    (6, 0xFE80 << 112 | 0xA9FEA9FE): "cloud metadata service (OpenStack)",  # fe80::a9fe:a9fe
}


def service_at(version: int, number: int) -> str | None:
    """What is commonly found at an address, or None."""
    return _SERVICES.get((version, number))
