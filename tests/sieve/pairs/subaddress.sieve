### user
require "subaddress";
if address :user ["from", "to"] ["ann.smith", "team", "talk"] { discard; }

### detail
require "subaddress";
if address :detail ["from", "to"] ["orders", "news"] { discard; }

### no detail is not an empty one
require "subaddress";
if address :detail "from" "" { discard; }

### detail of the envelope
# on: bill bounce
require ["subaddress", "envelope"];
if envelope :detail "to" "WORK" { redirect "detail@there.example"; }
if envelope :user "from" "bounces" { redirect "user@there.example"; }
if envelope :detail :matches "from" "*" { redirect "number@there.example"; }

### without its capability
# on: bill
if address :user "from" "ann.smith" { discard; }
