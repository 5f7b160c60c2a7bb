require ["fileinto", "include"];
if header :contains "from" "Carl" {
    fileinto "Company";
}
include :personal "stops";
