require ["fileinto", "reject", "include", "variables"];
global "test_mailbox";
if header :contains "Subject" "MILLIONAIRE" {
    set "test_mailbox" "spam-money";
}
if header :contains "Subject" "XXXX" {
    reject "Subject XXXX is unacceptable.";
}
return;
discard;
