### away
require "vacation";
vacation "I am away.";

### for some days
# on: bill
require "vacation";
vacation :days 3 "away";

### for no days, and for too many
# on: bill
# differs on all: a day at least (RFC 5230 section 4.1), whatever :seconds may be
require "vacation";
if exists "x-nothing" { vacation :days 100000 "away"; }
vacation :days 0 "away";

### with all words
# on: bill
require "vacation";
vacation :days 14 :subject "Away" :from "me@here.example" :addresses ["me@here.example", "also@here.example"]
    :handle "summer" "Back in May.";

### with variables
# on: bill list
require ["vacation", "variables"];
if header :matches "subject" "*" { vacation :subject "Re: ${1}" :handle "h" "You wrote ${1}."; }

### as MIME
# on: bill
require "vacation";
vacation :mime text:
Content-Type: text/plain; charset=utf-8

Grüße.
.
;

### and filed
# on: bill list
require ["vacation", "fileinto"];
if exists "list-id" { fileinto "Lists"; } else { vacation "away"; }

### twice
# on: bill
require "vacation";
vacation "away";
vacation "still away";

### and discarded
# on: bill
require "vacation";
vacation "away";
discard;

### from no address
# on: bill
require "vacation";
vacation :from "nobody" "away";

### without words
# on: bill
require "vacation";
vacation :days 3;

### a negative number
# on: bill
require "vacation";
vacation :days -1 "away";

### seconds
# on: bill
require "vacation-seconds";
vacation :seconds 3600 "away";

### seconds and vacation
# on: bill
require ["vacation", "vacation-seconds"];
vacation :seconds 1800 :handle "x" "away";

### no seconds: each time
# on: bill
require "vacation-seconds";
vacation :seconds 0 "away";

### days and seconds
# on: bill
require "vacation-seconds";
vacation :seconds 60 :days 1 "away";

### seconds without their capability
# on: bill
require "vacation";
vacation :seconds 60 "away";

### without its capability
# on: bill
vacation "away";
