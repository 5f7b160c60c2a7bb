require ["fileinto", "variables", "include"];
global "total";
set "total" "seen by bills";
if header :contains "subject" "bill" {
    fileinto "Bills";
    return;
}
set "local" "of bills";
