-- The edge's rule: cookie user=tester goes to v2, whatever the client says.
local find = string.find

function envoy_on_request(handle)
  local headers = handle:headers()
  local cookie = headers:get("cookie")
  local track = nil
  if cookie then
    -- A plain search first: it is a memcmp, and for most requests it is all.
    local at, last = find(cookie, "user=tester", 1, true)
    while at do
      if (at == 1 or find(cookie, "^[; \t,]", at - 1)) and (last == #cookie or find(cookie, "^[; \t,]", last + 1)) then
        track = "v2"
        break
      end
      at, last = find(cookie, "user=tester", last + 1, true)
    end
  end
  if track then
    headers:replace("x-release-track", track)
  elseif headers:get("x-release-track") then
    headers:remove("x-release-track")
  end
end
