### to somebody
# on: bill
require "enotify";
notify "mailto:ann@there.example";

### with a message
# on: bill list
require ["enotify", "variables"];
if header :matches "subject" "*" { notify :message "mail: ${1}" :importance "1" "mailto:ann@there.example"; }

### with a subject of its own, and a body
# on: bill
require "enotify";
notify :importance "3" "mailto:ann@there.example?subject=hello%20there&body=a%20body";

### from somebody
# on: bill
require "enotify";
notify :from "me@here.example" :message "m" "mailto:ann@there.example";

### twice
# on: bill
require "enotify";
notify :message "m" "mailto:ann@there.example";
notify :message "n" "mailto:dan@there.example";

### valid_notify_method
# on: bill
# differs on all: a notice to nobody is none for us
require "enotify";
if valid_notify_method "mailto:a@b.example" { redirect "one@there.example"; }
if valid_notify_method ["mailto:a@b.example", "tel:+1"] { redirect "two@there.example"; }
if valid_notify_method "mailto:" { redirect "three@there.example"; }

### notify_method_capability
# on: bill
require "enotify";
if notify_method_capability "mailto:a@b.example" "Online" "maybe" { redirect "maybe@there.example"; }
if notify_method_capability "mailto:a@b.example" "Online" "yes" { redirect "yes@there.example"; }
if notify_method_capability "mailto:a@b.example" "offline" "maybe" { redirect "off@there.example"; }

### encodeurl
# on: bill list
require ["enotify", "variables", "fileinto"];
if header :matches "subject" "*" { set :encodeurl "a" "${1}"; }
fileinto "${a}";

### a method that is none
# on: bill
require "enotify";
notify "pigeon:ann";

### an importance that is none
# on: bill
require "enotify";
notify :importance "4" "mailto:ann@there.example";

### to an address that is none
# on: bill
require "enotify";
notify "mailto:@";

### without its capability
# on: bill
notify "mailto:ann@there.example";
