### set and string
# differs on all: without a comparator, case does not count (RFC 5228 section 2.7.3); Pigeonhole compares octets here
require ["variables", "fileinto"];
set "a" "one";
set "B" "${A} and two";
if string "${b}" "ONE and two" { fileinto "${a} ${b} ${c}."; }

### what a match found
require ["variables", "fileinto"];
if header :matches "subject" ["*[*] *must*", "[*] *", "*and*"] { fileinto "${0}|${1}|${2}|${3}|${4}"; }

### set and string, by octets
require ["variables", "fileinto"];
set "a" "one";
set "B" "${A} and two";
if string :comparator "i;octet" "${b}" "ONE and two" { fileinto "wrong"; }
elsif string :comparator "i;ascii-casemap" "${b}" "ONE and two" { fileinto "${a} ${b} ${c}."; }

### what a match found is kept when the next finds nothing
require ["variables", "fileinto"];
if header :matches "subject" "*a*" { discard; }
if header :matches "subject" "nothing*" { keep; }
fileinto "x${1}";

### stars take as little as they can
require ["variables", "fileinto"];
if header :matches "subject" "*?a*e*" { fileinto "${1}|${2}|${3}|${4}"; }

### what is asked for and is not there
# on: bill
require ["variables", "fileinto"];
if header :matches "subject" "*BILL*" { fileinto "a${7}${0009}${nothing}${1}"; }

### what is no name stays as it is
# on: bill
# differs on all: a namespace that nobody knows is a fault (RFC 5229 section 3)
require ["variables", "fileinto"];
set "a" "one";
fileinto "${} ${a.b} ${a-b} $a ${ a} $${a} ${${a}} ${1a} ${-1}";

### modifiers
# differs on list: for us letters have case that are not of ASCII, too
# differs on odd: Pigeonhole leaves the blank in front of a value that begins on its second line
require ["variables", "fileinto"];
if header :matches "subject" "*" {
    set :lower "a" "${1}";
    set :upper "b" "${1}";
    set :lowerfirst "c" "${1}";
    set :upperfirst "d" "${1}";
    set :length "e" "${1}";
    set :quotewildcard "f" "${1}";
    fileinto "${a}"; fileinto "${b}"; fileinto "${c}"; fileinto "${d}"; fileinto "${e}"; fileinto "${f}";
}

### modifiers together
# on: bill parts
require ["variables", "fileinto"];
if header :matches "from" "*" {
    set :upperfirst :lower "a" "${1}";
    set :length :quotewildcard "b" "a*b?c\\d";
    set :lowerfirst :upper "c" "${1}";
    fileinto "${a} ${b} ${c}";
}

### two modifiers of one kind
# on: bill
require "variables";
set :lower :upper "a" "b";

### a number for a name
# on: bill
require "variables";
set "1" "b";

### a name with a blank
# on: bill
require "variables";
set "a b" "b";

### string counts what is not empty
# on: bill
require ["variables", "relational", "comparator-i;ascii-numeric"];
set "a" "x";
if string :count "eq" :comparator "i;ascii-numeric" ["${a}", "${b}", "c", ""] "2" { discard; }

### string matches many
# on: bill list
require ["variables", "fileinto"];
if header :matches "x-priority" "*" { set "n" "${1}"; }
if string :matches ["no", "${n} is it"] ["9 is *", "* it"] { fileinto "${1}-${2}"; }

### a pattern that is made
# on: bill parts
require "variables";
set "a" "*B*";
set :quotewildcard "b" "[October] *must*";
if header :matches "subject" ["${a}${b}*", "pic${a}"] { discard; }

### names of fields that are made
# on: bill parts
require "variables";
set "a" "tag";
if header "x-${a}" "first" { discard; }

### redirect to somebody that is made
# on: bill
require "variables";
if address :matches :localpart "cc" "d*" { redirect "x${1}@there.example"; }

### redirect to nobody that is made
# on: bill
require "variables";
set "a" "nobody";
redirect "${a}";

### without its capability it is text
# on: bill
require "fileinto";
fileinto "${a}";

### a value that is long
# on: bill
require ["variables", "relational", "comparator-i;ascii-numeric", "fileinto"];
set "a" "0123456789abcdef";
set "a" "${a}${a}${a}${a}${a}${a}${a}${a}";
set "a" "${a}${a}${a}${a}${a}${a}${a}${a}";
set :length "b" "${a}";
fileinto "${b}";

### a name of another house's words
# on: bill
require "variables";
set "vnd.x" "y";
