### RFC 5230 section 4.7: to the boss by himself
# parts: redirect pleeb@isp.example.org; vacation 604800 :subject Hello I am away.
require ["vacation", "variables"];
if header :contains "from" "boss@example.org" { redirect "pleeb@isp.example.org"; }
vacation :subject "Hello" "I am away.";

### RFC 5230 section 4.8: all that may be said
# coyote: vacation 1987200 :mime :addresses tjs@example.edu ts4z@landru.example.edu Content-Type: text/plain I'm off.; keep
require "vacation";
vacation :mime :days 23 :addresses ["tjs@example.edu", "ts4z@landru.example.edu"] text:
Content-Type: text/plain

I'm off.
.
;

### RFC 5230 section 4.1: a day at least
# coyote: vacation 86400 away; keep
require "vacation";
vacation :days 0 "away";

### RFC 5230 section 4.7: answered once, and never with a refusal
# coyote: error, a message cannot be refused and be kept
require ["vacation", "reject"];
vacation "away";
reject "gone";

### RFC 5230 section 4.7: two answers
# coyote: error, a script may answer a message once
require "vacation";
vacation "away";
vacation "still away";

### RFC 5230 section 4.3: from an address
# refused: 'nobody' is no address to write from
require "vacation";
vacation :from "nobody" "away";
