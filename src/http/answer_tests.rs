//! What goes out of an answer whose call was ended.

use super::*;

async fn sent(answer: Answer) -> Result<Vec<u8>, String> {
    let mut body = made(std::future::ready(answer)).await.into_body();
    let mut sent = Vec::new();
    while let Some(part) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
        sent.extend_from_slice(&part.map_err(|error| error.to_string())?);
    }
    Ok(sent)
}

#[actix::test]
async fn an_answer_with_rows_is_cut_off_where_its_key_was_revoked_after_the_tool_had_looked() {
    let parts = vec![Bytes::from_static(b"SECRETROW")];
    let answer = Answer { parts, call: Some(CallGuard::revoked().await), tells_of_its_end: false };
    assert_eq!(sent(answer).await, Err(CutOff.to_string()));
}

#[actix::test]
async fn an_answer_that_says_that_its_call_was_ended_goes_out() {
    let parts = vec![Bytes::from_static(b"revoked")];
    let answer = Answer { parts, call: Some(CallGuard::revoked().await), tells_of_its_end: true };
    assert_eq!(sent(answer).await.unwrap(), b"revoked");
}
