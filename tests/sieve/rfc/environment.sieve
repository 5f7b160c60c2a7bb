### RFC 5183 section 4.1: where it runs
# given: item location = MDA
# given: item remote-host = host.example.com
# coyote: discard
require "environment";
if allof (environment "location" "mda", environment :matches "remote-host" "*.example.com",
          not environment :contains "vnd.nothing" "") { discard; }

### RFC 5183 section 4: it takes one name
# refused: environment takes a string
require "environment";
if environment ["location", "phase"] "MDA" { discard; }
