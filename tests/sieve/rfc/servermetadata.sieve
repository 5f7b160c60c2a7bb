### RFC 5490 section 4.1: where to notify is an entry of the server
# given: metadata /private/vendor/vendor.isode/notification-uri = mailto:alm@example.com
# coyote: notify :importance 2 mailto:alm@example.com :message coyote@desert.example.org [really: coyote@desert.example.org]: I have a present for you; keep
require ["enotify", "servermetadata", "variables", "envelope"];
if servermetadata :matches "/private/vendor/vendor.isode/notification-uri" "*" { set "notif_uri" "${0}"; }
if not string :is "${notif_uri}" "none" {
    if envelope :all :matches "from" "*" { set "env_from" " [really: ${1}]"; }
    if header :matches "Subject" "*" { set "subject" "${1}"; }
    if address :matches :all "from" "*" { set "from_addr" "${1}"; }
    notify :message "${from_addr}${env_from}: ${subject}" "${notif_uri}";
}

### RFC 5490 section 4.2: whether it is there
# coyote: discard
require "servermetadata";
if not servermetadataexists "/shared/comment" { discard; }

### RFC 5490 section 4.1: its capability is not that of mailboxes
# refused: servermetadata needs: require "servermetadata"
require "mboxmetadata";
if servermetadata "/shared/comment" "x" { discard; }
