### RFC 6134 section 2.4: whom one knows is answered
# given: addressbook = coyote@desert.example.org, mary@example.net
# coyote: vacation 604800 I am away.; keep
# rich: keep
require ["envelope", "extlists", "vacation"];
if allof (header :matches "subject" "*", address :list "from" "urn:ietf:params:sieve:addrbook:default") {
    vacation "I am away.";
}

### RFC 6134 section 2.5: whether there is such a list
# coyote: discard
require "extlists";
if allof (valid_ext_list "urn:ietf:params:sieve:addrbook:default",
          not valid_ext_list ["urn:ietf:params:sieve:addrbook:default", "tag:example.com,2010-05-28:mylist"],
          not header :list "from" "tag:example.com,2010-05-28:mylist") { discard; }

### RFC 6134 section 2.6: to all of a list
# refused: there is no list here that mail can be redirected to
require "extlists";
redirect :list "tag:example.com,2009-05-28:StaffList";
