# What differs from run to run: ids, times, versions, hashes, addresses; and the width of columns, which follows from them.
s/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/UID/g
s/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z/TIME/g
s/(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} [-+][0-9]{4}/TIME/g
s/("?resourceVersion"?): ?"[0-9]+"/\1: "RV"/g
s/(\\"resourceVersion\\"):\\"[0-9]+\\"/\1:RV/g
s#[^ ]*/(MERGED|LIVE)-[0-9]+#\1#g
s/Resource Version: +[0-9]+/Resource Version: RV/g
s#[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:.]+ [-+][0-9]{4}#TIME#g
s#127\.0\.0\.1:[0-9]+#SERVER#g
s/\b10\.[0-9]+\.[0-9]+\.[0-9]+(\/[0-9]+)?/IP/g
s/\b(127\.0\.0\.1|192\.0\.2\.[0-9]+|172\.[0-9.]+|192\.168\.[0-9.]+)\b/IP/g
s/\b(web|once|nightly|other|set)-[0-9a-z]{8,10}(-[0-9a-z]{5})?\b/\1-HASH/g
s/\b(web|once|nightly|daemon|set|job)-[0-9a-z]{5}\b/\1-HASH/g
s/-[bcdfghjklmnpqrstvwxz2456789]{8,10}(-[bcdfghjklmnpqrstvwxz2456789]{5})?\b/-HASH/g
s/-[bcdfghjklmnpqrstvwxz2456789]{5}\b/-HASH/g
s/\.[0-9a-f]{16}\b/.ID/g
s/^W[0-9]{4} [0-9:.]+ +[0-9]+ /W /
s/pod-template-hash([:=" ]+)[0-9a-z]{8,10}/pod-template-hash\1HASH/g
s/controller-revision-hash([:=" ]+)[-0-9a-z]+/controller-revision-hash\1HASH/g
s/\b(skiff-node|node)-[0-9]+\b/NODE/g
s/v1\.[0-9]+\.[0-9]+([-+][0-9a-z.]+)?/VERSION/g
s/\b([0-9]+[dhms]){1,2}( ago)?\b/AGE/g
s/<invalid>/AGE/g
s/ \(x[0-9]+ over AGE\)//
s/modifiedAt=[0-9]+/modifiedAt=TIME/g
s/(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} +[0-9]+ [0-9:]{8} [0-9]{4}/TIME/g
s/ +/ /g
s/ $//
/reflector\.go:[0-9]+\] ("Warning: watch ended|.*very short watch)/d
