# SPDX-License-Identifier: Apache-2.0
"""Tables of places are read in the forms in which they are given out; a place that a table does not state is not made up."""

from __future__ import annotations

import io

from mmdb_writing import database

from headwater.formats.address_places import PlaceTable, csv_places, database_places
from headwater.formats.address_ranges import ranges
from headwater.model.ports import Place

# SOURCE: written for these tests in the layouts of DB-IP, IP2Location LITE and GeoLite2; ranges of RFC 5737 and RFC 3849.
DB_IP = b"""203.0.113.0,203.0.113.255,AS,CN,Shanghai,Shanghai,31.2222,121.458
203.0.113.64,203.0.113.127,EU,DE,"Hesse","Frankfurt am Main, West",50.1109,8.68213
198.51.100.0,198.51.100.255,ZZ,ZZ,,,0,0
2001:db8::,2001:db8:ffff:ffff:ffff:ffff:ffff:ffff,NA,US,Ohio,Columbus,39.96,-83
nonsense
"""
IP2LOCATION = b""""3405803776","3405804031","CN","China","Shanghai","Shanghai","31.222220","121.458060"
"3325256704","3325256959","-","-","-","-","0.000000","0.000000"
"3221225984","3221226239","DE","Germany"
"""
BLOCKS = b"""network,geoname_id,registered_country_geoname_id,represented_country_geoname_id,is_anonymous_proxy,is_satellite_provider,postal_code,latitude,longitude,accuracy_radius
203.0.113.0/24,1796236,1814991,,0,0,,31.2222,121.4581,500
2001:db8::/32,,6252001,,0,0,,37.751,-97.822,1000
"""
LOCATIONS = b"""geoname_id,locale_code,continent_code,continent_name,country_iso_code,country_name,subdivision_1_iso_code,subdivision_1_name,city_name
1796236,en,AS,Asia,CN,China,SH,Shanghai,Shanghai
6252001,en,NA,"North America",US,"United States",,,
"""
ASKED = ["203.0.113.5", "203.0.113.70", "198.51.100.1", "192.0.2.9", "2001:db8::7", "8.8.8.8", "no address"]


def table(data: bytes) -> PlaceTable:
    return csv_places(io.BytesIO(data), ASKED)


def test_db_ips_towns_are_read_and_the_narrowest_range_answers() -> None:
    found = table(DB_IP)
    assert found.found == {
        "203.0.113.5": Place("CN", 31222200, 121458000, "Shanghai"),
        "203.0.113.70": Place("DE", 50110900, 8682130, "Frankfurt am Main, West"),
        "198.51.100.1": Place("ZZ"),
        "2001:db8::7": Place("US", 39960000, -83000000, "Columbus"),
    }
    assert (found.rows, found.unread, found.form, len(found.sha256)) == (4, 1, "csv", 64)
    assert ranges(DB_IP).country("203.0.113.5") == "CN"  # not its continent


def test_ip2locations_numbers_are_addresses_and_a_dash_is_no_country() -> None:
    assert table(IP2LOCATION).found == {"203.0.113.5": Place("CN", 31222220, 121458060, "Shanghai"),
                                        "203.0.113.70": Place("CN", 31222220, 121458060, "Shanghai"), "192.0.2.9": Place("DE")}  # fmt: skip


def test_the_pair_of_geolite_is_joined_by_its_numbers() -> None:
    blocks, locations = table(BLOCKS), table(LOCATIONS)
    assert blocks.named(locations.names) == {
        "203.0.113.5": Place("CN", 31222200, 121458100, "Shanghai"),
        "203.0.113.70": Place("CN", 31222200, 121458100, "Shanghai"),
        "2001:db8::7": Place("US", 37751000, -97822000),
    }
    assert blocks.named({})["203.0.113.5"] == Place("", 31222200, 121458100)
    assert (blocks.form, locations.form) == ("csv GeoLite2 blocks", "csv GeoLite2 locations")


def test_a_list_of_countries_alone_gives_no_coordinates() -> None:
    assert table(b"network,country\n203.0.113.0/24,CN\n").found["203.0.113.5"] == Place("CN")
    assert table(b"203.0.113.0,203.0.113.255,CN\n").found["203.0.113.5"] == Place("CN")


def test_a_database_places_what_it_names() -> None:
    data = database({"203.0.113.0/24": {"country": {"iso_code": "CN"}, "location": {"latitude": 31.2222, "longitude": 121.458}, "city": {"names": {"en": "Shanghai"}}},
                     "192.0.2.0/24": {"country_code": "DE", "city": "Frankfurt", "lat": "50.1", "lng": "8.7"}, "198.51.100.0/24": "text"})  # fmt: skip
    found = database_places(data, ASKED)
    assert found.found == {"203.0.113.5": Place("CN", 31222200, 121458000, "Shanghai"), "203.0.113.70": Place("CN", 31222200, 121458000, "Shanghai"),
                           "192.0.2.9": Place("DE", 50100000, 8700000, "Frankfurt")}  # fmt: skip
    assert (found.form, found.rows, found.unread) == ("mmdb Test-City", 3, 0)


def test_hostile_lines_are_counted_and_cost_nothing() -> None:
    bad = (
        b'"' * 5000
        + b"\n"
        + b"a" * 3_000_000
        + b"\n"
        + b'203.0.113.0,203.0.113.255,"open\n'
        + b"\0\xff,,\n1,2\n9,3,XX\n"
    )
    found = table(bad + b"203.0.113.0,203.0.113.255,AS,CN,a,b,999,nan\n")
    assert found.found["203.0.113.5"].latitude is None
    assert found.unread >= 4
