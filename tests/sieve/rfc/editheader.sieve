### RFC 5293 section 4: added in front, or behind
# coyote: keep changed
# has: X-Sieve-Filtered: <kim@job.example.com>
# has: X-Last: 1
require "editheader";
if not header :contains "X-Sieve-Filtered" ["<kim@job.example.com>"] {
    addheader "X-Sieve-Filtered" "<kim@job.example.com>";
    addheader :last "X-Last" "1";
}

### RFC 5293 section 5: deleted, by what it says or the last of them
# counted: keep changed
# has: Received: from a.example.com by b.example.com; Mon, 26 Feb 2007 14:20:00 +0000
# has not: Cc: qux@example.com
# has: X-Priority: 1
require "editheader";
deleteheader "Received";
deleteheader :index 1 :last "Cc";
deleteheader :matches "X-Priority" "?*5";

### RFC 5293 section 6: what is asked afterwards is asked about what there is then
# rich: fileinto Gone changed
require ["editheader", "fileinto"];
deleteheader "Subject";
if not exists "Subject" { fileinto "Gone"; }

### RFC 5293 section 4: a name that is none
# refused: 'X Y' is no name of a header field
require "editheader";
addheader "X Y" "z";
