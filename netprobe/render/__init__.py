"""Records to screen: table, plain, json, ndjson, csv."""
